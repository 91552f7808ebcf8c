copy incoming_reference from stdin with (format csv);
