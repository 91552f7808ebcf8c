insert into lifecycle.promotions (domain, target, from_version, to_version, decision_id)
values (%(domain)s, %(target)s, %(from_version)s, %(to_version)s, %(decision_id)s);
