insert into lifecycle.refresh_limits as known (domain, target, sessions)
values (%(domain)s, %(target)s, %(sessions)s)
on conflict (domain, target) do update
set sessions = excluded.sessions
where known.sessions <> excluded.sessions;
