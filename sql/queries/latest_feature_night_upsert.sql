insert into market.latest_feature_nights (domain, as_of, known_at, snapshot_digest, feature_set_digest, names)
values (%(domain)s, %(as_of)s, %(known_at)s, %(snapshot_digest)s, %(feature_set_digest)s, %(names)s)
on conflict (domain) do update
set
    as_of = excluded.as_of,
    known_at = excluded.known_at,
    snapshot_digest = excluded.snapshot_digest,
    feature_set_digest = excluded.feature_set_digest,
    names = excluded.names;
