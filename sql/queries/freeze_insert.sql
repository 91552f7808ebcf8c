insert into lifecycle.freezes (domain, target, is_frozen, decided_by, why)
values (%(domain)s, %(target)s, %(is_frozen)s, %(decided_by)s, %(why)s);
