-- One row per book on the reading list of a course; the price is per copy, in EUR unless the document names a currency.
with authors as (
  select _parent_key, count(*) as author_count
  from curated.courses_book_author
  group by _parent_key
)
select
  b._key as material_id,
  c.course_id,
  b.title,
  b.year,
  a.author as author_name,
  coalesce(n.author_count, cast(0 as bigint)) as author_count,
  b.price as price_amount,
  coalesce(b.price_currency, 'EUR') as price_currency
from curated.courses_book b
join curated.courses_latest c on b._row_key = c._key
left join curated.courses_book_author a on a._parent_key = b._key and a._ordinal = 1
left join authors n on n._parent_key = b._key
