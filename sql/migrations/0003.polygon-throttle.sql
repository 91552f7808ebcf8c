-- The pace that a vendor account allows and its circuit breaker, one row per account: all tasks share it.
create table if not exists market.throttles (
    account text primary key, -- the vendor and a fingerprint of the key, never the key
    granted_at timestamptz[] not null, -- when the latest requests may leave, oldest first; the last may lie ahead
    paused_until timestamptz, -- the vendor asked to be left alone until then
    failures integer not null default 0, -- failed requests since the last answer
    open_until timestamptz -- the circuit is open until then: no request leaves
);
