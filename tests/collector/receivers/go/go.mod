module sender

go 1.26.8

require github.com/prometheus/client_golang/exp v0.0.0-20261019101427-217707f26b14 // indirect
