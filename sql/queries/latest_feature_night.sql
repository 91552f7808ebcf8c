select as_of, known_at, snapshot_digest, feature_set_digest
from market.latest_feature_nights
where domain = %(domain)s;
