select
    publication_id, domain, as_of, data_cutoff, published_at, expires_at, row_count, snapshot_digest, is_replay, is_stale
from serving.publications
where is_latest
order by domain;
