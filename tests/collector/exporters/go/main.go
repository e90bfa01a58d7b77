// Sends the scenario of scenario.py: sender grpc|protobuf ENDPOINT SERVICE none|gzip
// Ends with 1, and says why, when an exporter reports anything but success.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

var protocol, endpoint, service, compression = os.Args[1], os.Args[2], os.Args[3], os.Args[4]

var failed = false

func check(what string, err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
		failed = true
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return value
}

func main() {
	// Partial successes and failed exports end up here.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { check("exporter", err) }))
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	about := resource.NewSchemaless(attribute.String("service.name", service), attribute.Int("host.cpus", 4))
	inside := sendSpans(ctx, about)
	sendLogs(ctx, inside, about)
	sendMetrics(ctx, about)
	if failed {
		os.Exit(1)
	}
}

func sendSpans(ctx context.Context, about *resource.Resource) context.Context {
	var exporter *otlptrace.Exporter
	if protocol == "grpc" {
		options := []otlptracegrpc.Option{otlptracegrpc.WithEndpointURL(endpoint)}
		if compression == "gzip" {
			options = append(options, otlptracegrpc.WithCompressor("gzip"))
		}
		exporter = must(otlptracegrpc.New(ctx, options...))
	} else {
		options := []otlptracehttp.Option{otlptracehttp.WithEndpointURL(endpoint + "/v1/traces")}
		if compression == "gzip" {
			options = append(options, otlptracehttp.WithCompression(otlptracehttp.GzipCompression))
		}
		exporter = must(otlptracehttp.New(ctx, options...))
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about))
	tracer := provider.Tracer("compat", trace.WithInstrumentationVersion("1.2.3"))
	inside, parent := tracer.Start(ctx, "parent", trace.WithSpanKind(trace.SpanKindServer))
	linked := trace.NewSpanContext(trace.SpanContextConfig{
		TraceID:    must(trace.TraceIDFromHex("0af7651916cd43dd8448eb211c80319c")),
		SpanID:     must(trace.SpanIDFromHex("b7ad6b7169203331")),
		TraceFlags: trace.FlagsSampled,
	})
	_, child := tracer.Start(inside, "child",
		trace.WithSpanKind(trace.SpanKindClient),
		trace.WithLinks(trace.Link{SpanContext: linked, Attributes: []attribute.KeyValue{attribute.String("reason", "batch")}}),
		trace.WithAttributes(
			attribute.String("text", "Grüße, 世界"),
			attribute.Int64("int", 1234567890123),
			attribute.Float64("double", 1.5),
			attribute.Bool("yes", true),
			attribute.StringSlice("texts", []string{"a", "b"}),
			attribute.Int64Slice("ints", []int64{1, 2, 3}),
			attribute.Float64Slice("doubles", []float64{0.5, 2.5}),
			attribute.BoolSlice("bools", []bool{true, false}),
		))
	child.AddEvent("cache.miss", trace.WithAttributes(attribute.String("key", "k1"), attribute.Int("tries", 2)))
	child.AddEvent("retry")
	child.SetStatus(codes.Error, "it broke")
	child.End()
	parent.End()
	check("spans", provider.Shutdown(ctx))
	return inside
}

func sendLogs(ctx, inside context.Context, about *resource.Resource) {
	var exporter sdklog.Exporter
	if protocol == "grpc" {
		options := []otlploggrpc.Option{otlploggrpc.WithEndpointURL(endpoint)}
		if compression == "gzip" {
			options = append(options, otlploggrpc.WithCompressor("gzip"))
		}
		exporter = must(otlploggrpc.New(ctx, options...))
	} else {
		options := []otlploghttp.Option{otlploghttp.WithEndpointURL(endpoint + "/v1/logs")}
		if compression == "gzip" {
			options = append(options, otlploghttp.WithCompression(otlploghttp.GzipCompression))
		}
		exporter = must(otlploghttp.New(ctx, options...))
	}
	provider := sdklog.NewLoggerProvider(
		sdklog.WithProcessor(sdklog.NewBatchProcessor(exporter)), sdklog.WithResource(about))
	logger := provider.Logger("compat", log.WithInstrumentationVersion("1.2.3"))
	var warning, details log.Record
	warning.SetTimestamp(time.Now())
	warning.SetSeverity(log.SeverityWarn)
	warning.SetSeverityText("WARN")
	warning.SetBody(attribute.StringValue("disk almost full"))
	warning.AddAttributes(attribute.String("disk", "sda"), attribute.Int("percent", 97))
	logger.Emit(inside, warning)
	details.SetTimestamp(time.Now())
	details.SetSeverity(log.SeverityInfo)
	details.SetSeverityText("INFO")
	details.SetBody(attribute.MapValue(attribute.String("user", "u1"), attribute.Int("tries", 3)))
	logger.Emit(ctx, details)
	check("logs", provider.Shutdown(ctx))
}

func sendMetrics(ctx context.Context, about *resource.Resource) {
	var exporter sdkmetric.Exporter
	if protocol == "grpc" {
		options := []otlpmetricgrpc.Option{otlpmetricgrpc.WithEndpointURL(endpoint)}
		if compression == "gzip" {
			options = append(options, otlpmetricgrpc.WithCompressor("gzip"))
		}
		exporter = must(otlpmetricgrpc.New(ctx, options...))
	} else {
		options := []otlpmetrichttp.Option{otlpmetrichttp.WithEndpointURL(endpoint + "/v1/metrics")}
		if compression == "gzip" {
			options = append(options, otlpmetrichttp.WithCompression(otlpmetrichttp.GzipCompression))
		}
		exporter = must(otlpmetrichttp.New(ctx, options...))
	}
	exponential := sdkmetric.NewView(
		sdkmetric.Instrument{Name: "compat.size"},
		sdkmetric.Stream{Aggregation: sdkmetric.AggregationBase2ExponentialHistogram{MaxSize: 160, MaxScale: 20}})
	provider := sdkmetric.NewMeterProvider(
		sdkmetric.WithReader(sdkmetric.NewPeriodicReader(exporter, sdkmetric.WithInterval(time.Hour))),
		sdkmetric.WithResource(about), sdkmetric.WithView(exponential))
	meter := provider.Meter("compat", metric.WithInstrumentationVersion("1.2.3"))
	requests := must(meter.Int64Counter("compat.requests", metric.WithUnit("{request}"), metric.WithDescription("Requests.")))
	requests.Add(ctx, 3, metric.WithAttributes(attribute.String("route", "/a")))
	requests.Add(ctx, 4, metric.WithAttributes(attribute.String("route", "/b")))
	active := must(meter.Int64UpDownCounter("compat.active"))
	active.Add(ctx, 5)
	active.Add(ctx, -2)
	must(meter.Float64Gauge("compat.temperature", metric.WithUnit("Cel"))).Record(ctx, 21.5)
	duration := must(meter.Float64Histogram("compat.duration", metric.WithUnit("s"),
		metric.WithExplicitBucketBoundaries(0.01, 1, 10)))
	for _, value := range []float64{0.003, 0.2, 30} {
		duration.Record(ctx, value)
	}
	size := must(meter.Int64Histogram("compat.size", metric.WithUnit("By")))
	for _, value := range []int64{0, 1, 2, 1000} {
		size.Record(ctx, value)
	}
	check("metrics", provider.Shutdown(ctx))
}
