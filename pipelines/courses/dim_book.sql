-- One row per book and course that lists it; the course updated last has the say on language, category and isbn.
select b.title, b.year, b.title_lang as language, b.category, b.isbn, c.updated_at as listed_at
from curated.courses_book b
join curated.courses_latest c on b._row_key = c._key
