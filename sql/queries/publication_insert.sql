-- A night that was published in time keeps the hour at which its answers are overdue, however often it is published.
insert into lifecycle.publications (
    domain, as_of, known_at, snapshot_digest, content_key, row_count, audit, expires_at
)
select
    %(domain)s, %(as_of)s, %(known_at)s, %(snapshot_digest)s, %(content_key)s, %(row_count)s, %(audit)s,
    coalesce(min(expires_at), %(expires_at)s)
from lifecycle.publications
where domain = %(domain)s and as_of = %(as_of)s
returning publication_id;
