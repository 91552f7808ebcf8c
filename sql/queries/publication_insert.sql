insert into lifecycle.publications (
    domain, as_of, known_at, snapshot_digest, content_key, row_count, audit, expires_at
)
values (
    %(domain)s, %(as_of)s, %(known_at)s, %(snapshot_digest)s, %(content_key)s, %(row_count)s, %(audit)s, %(expires_at)s
)
returning publication_id;
