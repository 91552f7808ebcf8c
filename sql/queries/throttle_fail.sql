update market.throttles set
    failures = failures + 1,
    open_until = case
        when failures + 1 >= %(failures)s then clock_timestamp() + make_interval(secs => %(open_seconds)s)
        else open_until
    end
where account = %(account)s
returning failures, open_until;
