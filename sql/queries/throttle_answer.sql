update market.throttles set
    failures = 0,
    open_until = null
where account = %(account)s
    and failures > 0;
