// Sends 100 series by remote write 2.0 with Prometheus' own client; fails if the server says it
// wrote less. Arguments: the server's address.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/prometheus/client_golang/exp/api/remote"
	writev2 "github.com/prometheus/client_golang/exp/api/remote/genproto/v2"
)

func main() {
	now := time.Now().UnixMilli()
	table := writev2.NewSymbolTable()
	request := &writev2.Request{}
	for n := 0; n < 100; n++ {
		labels := []string{"__name__", "orders_total", "instance", "shop:80", "job", "shop",
			"shelf", fmt.Sprint(n)}
		trace := []string{"trace_id", "4bf92f3577b34da6a3ce929d0e0e4736"}
		request.Timeseries = append(request.Timeseries, &writev2.TimeSeries{
			LabelsRefs: table.SymbolizeLabels(labels, nil),
			Samples: []*writev2.Sample{
				{Value: float64(n), Timestamp: now - 1000}, {Value: float64(n + 1), Timestamp: now}},
			Exemplars: []*writev2.Exemplar{{
				LabelsRefs: table.SymbolizeLabels(trace, nil), Value: 0.5, Timestamp: now}},
			Metadata: &writev2.Metadata{
				Type:    writev2.Metadata_METRIC_TYPE_COUNTER,
				HelpRef: table.Symbolize("Orders."), UnitRef: table.Symbolize("orders")},
		})
	}
	request.Symbols = table.Symbols()
	api, err := remote.NewAPI(os.Args[1])
	if err != nil {
		panic(err)
	}
	stats, err := api.Write(context.Background(), remote.WriteV2MessageType, request)
	if err != nil {
		panic(err)
	}
	if !stats.NoDataWritten() && stats.Samples == 200 && stats.Exemplars == 100 {
		return
	}
	panic(fmt.Sprintf("written: %+v", stats))
}
