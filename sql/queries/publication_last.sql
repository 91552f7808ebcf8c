select publication_id, content_key, known_at, expires_at
from lifecycle.publications
where domain = %(domain)s and as_of = %(as_of)s
order by publication_id desc
limit 1;
