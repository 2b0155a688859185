module example.com/neverstop

go 1.26.0
