let lib = import ./library; in
lib.deep { a = 1; }
