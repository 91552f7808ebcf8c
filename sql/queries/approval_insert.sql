insert into lifecycle.approvals (decision_id, approved, decided_by, decided_at, note)
values (%(decision_id)s, %(approved)s, %(decided_by)s, coalesce(%(decided_at)s, now()), %(note)s)
on conflict (decision_id) do nothing;
