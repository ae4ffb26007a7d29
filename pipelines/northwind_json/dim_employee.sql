-- One row per employee, with the one they report to.
with employees as (select e.* from (select explode(employees) as e from raw.northwind_directory))
select e.employeeID as employee_id, concat(e.firstName, ' ', e.lastName) as employee, e.title, e.city, e.country,
  concat(m.firstName, ' ', m.lastName) as reports_to
from employees e
left join employees m on e.reportsTo = m.employeeID
