-- One row per author of a book on a current reading list.
select distinct a.author as author_name
from curated.courses_book_author a
join curated.courses_latest c on a._row_key = c._key
