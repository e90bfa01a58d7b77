// Sends the scenario of scenario.py: java Send.java grpc|protobuf ENDPOINT SERVICE none|gzip
// Ends with 1, and says why, when an exporter reports anything but success.

import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.common.Attributes;
import io.opentelemetry.api.common.KeyValue;
import io.opentelemetry.api.common.Value;
import io.opentelemetry.api.logs.Logger;
import io.opentelemetry.api.logs.Severity;
import io.opentelemetry.api.metrics.DoubleHistogram;
import io.opentelemetry.api.metrics.LongCounter;
import io.opentelemetry.api.metrics.LongHistogram;
import io.opentelemetry.api.metrics.LongUpDownCounter;
import io.opentelemetry.api.metrics.Meter;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.SpanContext;
import io.opentelemetry.api.trace.SpanKind;
import io.opentelemetry.api.trace.StatusCode;
import io.opentelemetry.api.trace.TraceFlags;
import io.opentelemetry.api.trace.TraceState;
import io.opentelemetry.api.trace.Tracer;
import io.opentelemetry.context.Context;
import io.opentelemetry.exporter.otlp.http.logs.OtlpHttpLogRecordExporter;
import io.opentelemetry.exporter.otlp.http.metrics.OtlpHttpMetricExporter;
import io.opentelemetry.exporter.otlp.http.trace.OtlpHttpSpanExporter;
import io.opentelemetry.exporter.otlp.logs.OtlpGrpcLogRecordExporter;
import io.opentelemetry.exporter.otlp.metrics.OtlpGrpcMetricExporter;
import io.opentelemetry.exporter.otlp.trace.OtlpGrpcSpanExporter;
import io.opentelemetry.sdk.common.CompletableResultCode;
import io.opentelemetry.sdk.logs.SdkLoggerProvider;
import io.opentelemetry.sdk.logs.export.BatchLogRecordProcessor;
import io.opentelemetry.sdk.logs.export.LogRecordExporter;
import io.opentelemetry.sdk.metrics.Aggregation;
import io.opentelemetry.sdk.metrics.InstrumentSelector;
import io.opentelemetry.sdk.metrics.SdkMeterProvider;
import io.opentelemetry.sdk.metrics.View;
import io.opentelemetry.sdk.metrics.export.MetricExporter;
import io.opentelemetry.sdk.metrics.export.PeriodicMetricReader;
import io.opentelemetry.sdk.resources.Resource;
import io.opentelemetry.sdk.trace.SdkTracerProvider;
import io.opentelemetry.sdk.trace.export.BatchSpanProcessor;
import io.opentelemetry.sdk.trace.export.SpanExporter;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.logging.Handler;
import java.util.logging.Level;
import java.util.logging.LogManager;
import java.util.logging.LogRecord;

public final class Send {
  private static final AtomicBoolean FAILED = new AtomicBoolean();
  private static boolean grpc;
  private static String endpoint;
  private static String compression;
  private static Resource resource;

  public static void main(String[] arguments) {
    grpc = arguments[0].equals("grpc");
    endpoint = arguments[1];
    compression = arguments[3];
    resource = Resource.create(
        Attributes.builder().put("service.name", arguments[2]).put("host.cpus", 4L).build());
    failOnWarnings();
    Context inside = sendSpans();
    sendLogs(inside);
    sendMetrics();
    System.exit(FAILED.get() ? 1 : 0);
  }

  /** Exporters report failed exports and partial successes as warnings of java.util.logging. */
  private static void failOnWarnings() {
    LogManager.getLogManager().getLogger("").addHandler(new Handler() {
      @Override
      public void publish(LogRecord record) {
        if (record.getLevel().intValue() >= Level.WARNING.intValue()) {
          FAILED.set(true);
        }
      }

      @Override
      public void flush() {}

      @Override
      public void close() {}
    });
  }

  private static void check(String what, CompletableResultCode result) {
    if (!result.join(20, TimeUnit.SECONDS).isSuccess()) {
      System.err.println(what + ": the export failed: " + result.getFailureThrowable());
      FAILED.set(true);
    }
  }

  private static Context sendSpans() {
    SpanExporter exporter = grpc
        ? OtlpGrpcSpanExporter.builder().setEndpoint(endpoint).setCompression(compression).build()
        : OtlpHttpSpanExporter.builder().setEndpoint(endpoint + "/v1/traces")
            .setCompression(compression).build();
    SdkTracerProvider provider = SdkTracerProvider.builder().setResource(resource)
        .addSpanProcessor(BatchSpanProcessor.builder(exporter).build()).build();
    Tracer tracer = provider.tracerBuilder("compat").setInstrumentationVersion("1.2.3").build();
    Span parent = tracer.spanBuilder("parent").setNoParent().setSpanKind(SpanKind.SERVER).startSpan();
    Context inside = Context.root().with(parent);
    SpanContext linked = SpanContext.create("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331",
        TraceFlags.getSampled(), TraceState.getDefault());
    Span child = tracer.spanBuilder("child").setParent(inside).setSpanKind(SpanKind.CLIENT)
        .addLink(linked, Attributes.of(AttributeKey.stringKey("reason"), "batch"))
        .setAttribute("text", "Gr\u00fc\u00dfe, \u4e16\u754c")
        .setAttribute("int", 1234567890123L)
        .setAttribute("double", 1.5)
        .setAttribute("yes", true)
        .setAttribute(AttributeKey.stringArrayKey("texts"), List.of("a", "b"))
        .setAttribute(AttributeKey.longArrayKey("ints"), List.of(1L, 2L, 3L))
        .setAttribute(AttributeKey.doubleArrayKey("doubles"), List.of(0.5, 2.5))
        .setAttribute(AttributeKey.booleanArrayKey("bools"), List.of(true, false))
        .startSpan();
    child.addEvent("cache.miss", Attributes.builder().put("key", "k1").put("tries", 2L).build());
    child.addEvent("retry");
    child.setStatus(StatusCode.ERROR, "it broke");
    child.end();
    parent.end();
    check("spans", provider.forceFlush());
    check("spans", provider.shutdown());
    return inside;
  }

  private static void sendLogs(Context inside) {
    LogRecordExporter exporter = grpc
        ? OtlpGrpcLogRecordExporter.builder().setEndpoint(endpoint).setCompression(compression).build()
        : OtlpHttpLogRecordExporter.builder().setEndpoint(endpoint + "/v1/logs")
            .setCompression(compression).build();
    SdkLoggerProvider provider = SdkLoggerProvider.builder().setResource(resource)
        .addLogRecordProcessor(BatchLogRecordProcessor.builder(exporter).build()).build();
    Logger logger = provider.loggerBuilder("compat").setInstrumentationVersion("1.2.3").build();
    logger.logRecordBuilder().setContext(inside).setSeverity(Severity.WARN).setSeverityText("WARN")
        .setBody("disk almost full")
        .setAttribute(AttributeKey.stringKey("disk"), "sda")
        .setAttribute(AttributeKey.longKey("percent"), 97L)
        .setTimestamp(System.currentTimeMillis(), TimeUnit.MILLISECONDS).emit();
    logger.logRecordBuilder().setContext(Context.root()).setSeverity(Severity.INFO)
        .setSeverityText("INFO")
        .setBody(Value.of(KeyValue.of("user", Value.of("u1")), KeyValue.of("tries", Value.of(3L))))
        .setTimestamp(System.currentTimeMillis(), TimeUnit.MILLISECONDS).emit();
    check("logs", provider.forceFlush());
    check("logs", provider.shutdown());
  }

  private static void sendMetrics() {
    MetricExporter exporter = grpc
        ? OtlpGrpcMetricExporter.builder().setEndpoint(endpoint).setCompression(compression).build()
        : OtlpHttpMetricExporter.builder().setEndpoint(endpoint + "/v1/metrics")
            .setCompression(compression).build();
    SdkMeterProvider provider = SdkMeterProvider.builder().setResource(resource)
        .registerMetricReader(
            PeriodicMetricReader.builder(exporter).setInterval(Duration.ofHours(1)).build())
        .registerView(InstrumentSelector.builder().setName("compat.size").build(),
            View.builder().setAggregation(Aggregation.base2ExponentialBucketHistogram()).build())
        .build();
    Meter meter = provider.meterBuilder("compat").setInstrumentationVersion("1.2.3").build();
    LongCounter requests =
        meter.counterBuilder("compat.requests").setUnit("{request}").setDescription("Requests.").build();
    requests.add(3, Attributes.of(AttributeKey.stringKey("route"), "/a"));
    requests.add(4, Attributes.of(AttributeKey.stringKey("route"), "/b"));
    LongUpDownCounter active = meter.upDownCounterBuilder("compat.active").build();
    active.add(5);
    active.add(-2);
    meter.gaugeBuilder("compat.temperature").setUnit("Cel").build().set(21.5);
    DoubleHistogram duration = meter.histogramBuilder("compat.duration").setUnit("s")
        .setExplicitBucketBoundariesAdvice(List.of(0.01, 1.0, 10.0)).build();
    for (double value : new double[] {0.003, 0.2, 30}) {
      duration.record(value);
    }
    LongHistogram size = meter.histogramBuilder("compat.size").setUnit("By").ofLongs().build();
    for (long value : new long[] {0, 1, 2, 1000}) {
      size.record(value);
    }
    // The last collection happens with the shutdown; a flush before it would send all twice.
    check("metrics", provider.shutdown());
  }
}
