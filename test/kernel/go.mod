module github.com/isonet/isonet/test/kernel

go 1.26.0
