insert into lifecycle.retrain_requests (request, domain, horizons, reason, requested_by)
values (%(request)s, %(domain)s, %(horizons)s, %(reason)s, %(requested_by)s)
on conflict (request) do nothing;
