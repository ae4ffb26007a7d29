-- One row per course, as its latest version says.
select course_id, course_name, updated_at
from curated.courses_latest
