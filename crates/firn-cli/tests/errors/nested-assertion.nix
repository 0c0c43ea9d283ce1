assert { disk = { size = 10; unit = "G"; }; } == { disk = { size = 10; unit = "M"; }; };
"the same"
