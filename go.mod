module example.com/stay

go 1.26
