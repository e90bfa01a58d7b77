// Sends the scenario of scenario.py: node send.mjs grpc|protobuf|json ENDPOINT SERVICE none|gzip
// Ends with 1, and says why, when an exporter reports anything but success.
import { DiagLogLevel, ROOT_CONTEXT, SpanKind, SpanStatusCode, TraceFlags, diag, trace } from "@opentelemetry/api";
import { SeverityNumber } from "@opentelemetry/api-logs";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import { AggregationType, MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";

const [protocol, endpoint, service, compression] = process.argv.slice(2);
const failures = [];
const note = (...words) => failures.push(words.map(String).join(" "));
diag.setLogger({ error: note, warn: note, info() {}, debug() {}, verbose() {} }, DiagLogLevel.WARN);

const kind = { grpc: "grpc", protobuf: "proto", json: "http" }[protocol];
const options = (path) => ({ url: protocol === "grpc" ? endpoint : `${endpoint}${path}`, compression });
const load = async (signal) => import(`@opentelemetry/exporter-${signal}-otlp-${kind}`);

let exports = 0;
function watched(exporter) {
  const real = exporter.export.bind(exporter);
  exporter.export = (items, done) =>
    real(items, (result) => {
      exports += 1;
      if (result.code !== 0) note("export failed:", result.error?.stack ?? result.code);
      done(result);
    });
  return exporter;
}

const { OTLPTraceExporter } = await load("trace");
const { OTLPLogExporter } = await load("logs");
const { OTLPMetricExporter } = await load("metrics");
const resource = resourceFromAttributes({ "service.name": service, "host.cpus": 4 });
const attributes = {
  text: "Grüße, 世界", int: 1234567890123, double: 1.5, yes: true,
  texts: ["a", "b"], ints: [1, 2, 3], doubles: [0.5, 2.5], bools: [true, false],
};

const tracers = new BasicTracerProvider({
  resource,
  spanProcessors: [new BatchSpanProcessor(watched(new OTLPTraceExporter(options("/v1/traces"))))],
});
const tracer = tracers.getTracer("compat", "1.2.3");
const parent = tracer.startSpan("parent", { kind: SpanKind.SERVER }, ROOT_CONTEXT);
const inside = trace.setSpan(ROOT_CONTEXT, parent);
const linked = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331", traceFlags: TraceFlags.SAMPLED };
const links = [{ context: linked, attributes: { reason: "batch" } }];
const child = tracer.startSpan("child", { kind: SpanKind.CLIENT, attributes, links }, inside);
child.addEvent("cache.miss", { key: "k1", tries: 2 });
child.addEvent("retry");
child.setStatus({ code: SpanStatusCode.ERROR, message: "it broke" });
child.end();
parent.end();

const loggers = new LoggerProvider({
  resource,
  processors: [new BatchLogRecordProcessor({ exporter: watched(new OTLPLogExporter(options("/v1/logs"))) })],
});
const logger = loggers.getLogger("compat", "1.2.3");
logger.emit({
  severityNumber: SeverityNumber.WARN, severityText: "WARN", body: "disk almost full",
  attributes: { disk: "sda", percent: 97 }, context: inside,
});
logger.emit({ severityNumber: SeverityNumber.INFO, severityText: "INFO", body: { user: "u1", tries: 3 } });

const reader = new PeriodicExportingMetricReader({
  exporter: watched(new OTLPMetricExporter(options("/v1/metrics"))), exportIntervalMillis: 3_600_000,
});
const meters = new MeterProvider({
  resource, readers: [reader],
  views: [{ instrumentName: "compat.size", aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } }],
});
const meter = meters.getMeter("compat", "1.2.3");
const requests = meter.createCounter("compat.requests", { unit: "{request}", description: "Requests." });
requests.add(3, { route: "/a" });
requests.add(4, { route: "/b" });
const active = meter.createUpDownCounter("compat.active");
active.add(5);
active.add(-2);
meter.createGauge("compat.temperature", { unit: "Cel" }).record(21.5);
const duration = meter.createHistogram("compat.duration", {
  unit: "s", advice: { explicitBucketBoundaries: [0.01, 1, 10] },
});
[0.003, 0.2, 30].forEach((value) => duration.record(value));
const size = meter.createHistogram("compat.size", { unit: "By" });
[0, 1, 2, 1000].forEach((value) => size.record(value));

for (const provider of [tracers, loggers, meters]) {
  try {
    await provider.shutdown();
  } catch (error) {
    note("shutdown:", error?.stack ?? error);
  }
}
if (exports !== 3) note(`${exports} exports were made, 3 were due`);
if (failures.length) {
  console.error(failures.join("\n"));
  process.exit(1);
}
