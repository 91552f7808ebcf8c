create temporary table incoming_predictions (
    entity text,
    target text,
    matures_at timestamptz,
    model_version bigint,
    has_skill boolean,
    p_up double precision,
    direction text,
    confidence double precision,
    expected_return double precision,
    return_lower double precision,
    return_upper double precision,
    price double precision,
    price_target double precision,
    price_lower double precision,
    price_upper double precision
) on commit drop;
