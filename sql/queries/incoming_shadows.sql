create temporary table incoming_shadows (
    entity text,
    p_up double precision,
    expected_return double precision
) on commit drop;
