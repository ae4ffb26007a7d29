-- One row per employee, with the one they report to.
select e.employeeID as employee_id, concat(e.firstName, ' ', e.lastName) as employee, e.title, e.city, e.country,
  concat(m.firstName, ' ', m.lastName) as reports_to
from raw.northwind_employees e
left join raw.northwind_employees m on e.reportsTo = m.employeeID
