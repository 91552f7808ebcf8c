insert into lifecycle.maintenance (task, succeeded, result, started_at)
values (%(task)s, %(succeeded)s, %(result)s, %(started_at)s);
