update market.throttles set
    paused_until = greatest(paused_until, clock_timestamp() + make_interval(secs => %(seconds)s))
where account = %(account)s;
