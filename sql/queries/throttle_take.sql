insert into market.throttles as t (account, granted_at)
values (%(account)s, array[clock_timestamp()])
on conflict (account) do update set
    (granted_at, open_until) = (
        select
            (t.granted_at || slot.at)[cardinality(t.granted_at) + 2 - greatest(%(requests)s, 1):],
            case when t.failures >= %(failures)s then slot.at + make_interval(secs => %(trial_seconds)s) end
        from (
            select greatest(
                clock_timestamp(),
                t.paused_until,
                t.granted_at[cardinality(t.granted_at)],
                t.granted_at[cardinality(t.granted_at) + 1 - %(requests)s] + make_interval(secs => %(window_seconds)s)
            ) as at
        ) slot
    )
where (t.open_until is null or t.open_until <= clock_timestamp())
    and (t.paused_until is null or t.paused_until <= clock_timestamp() + make_interval(secs => %(longest_pause)s))
returning
    extract(epoch from t.granted_at[cardinality(t.granted_at)] - clock_timestamp())::float8 as wait_seconds,
    t.granted_at[cardinality(t.granted_at)] as leaves_at,
    t.open_until,
    t.failures;
