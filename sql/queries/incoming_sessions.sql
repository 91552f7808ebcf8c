create temporary table incoming_sessions (
    calendar text,
    session timestamp,
    opens_at timestamptz,
    closes_at timestamptz,
    is_early_close boolean
) on commit drop;
