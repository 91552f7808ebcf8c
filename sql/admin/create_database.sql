create database {database} owner {owner} template {template};
