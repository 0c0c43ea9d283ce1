let lib = import ./library; in
lib.greet { name = "a"; greting = "hi"; }
