export { BlackHole, refusedPort } from './black-hole.ts';
export {
  clusterConfig,
  clusterRoute,
  type HttpBootstrapOptions,
  httpBootstrap,
  httpManager,
  type Json,
  type JsonObject,
  lbEndpoint,
  loadAssignment,
  localAddress,
} from './bootstraps.ts';
export { realClientHello } from './client-hello.ts';
export { FakeClock } from './clock.ts';
export { DiscoveryScene, FakeDns } from './discovery-scene.ts';
export { FakeDynamicResources } from './fake-dynamic-resources.ts';
export { type CheckedSource, FakeSubscription, FakeSubscriptions } from './fake-subscriptions.ts';
export { Gate } from './gate.ts';
export {
  type CheckedConnection,
  CheckedHttpConnection,
  type CheckedRequest,
  HealthScene,
  type HealthSceneOptions,
  healthCheckTarget,
} from './health-scene.ts';
export {
  type Answer,
  breakOff,
  type Exchange,
  echo,
  gated,
  HttpUpstream,
  hang,
  inTurn,
  type RecordedRequest,
  type ReplyOptions,
  reply,
  reset,
  text,
} from './http-upstream.ts';
export {
  CAPTURE_PORT,
  missingNamespacePrograms,
  PROXY_SOURCE,
  runInNamespace,
  whyNoNamespace,
} from './redirecting-namespace.ts';
export {
  FrameClient,
  type FrameClientOptions,
  FrameConnection,
  type FrameGoaway,
  type FrameResponse,
  requestBlock,
} from './http2-client.ts';
export {
  FrameFlag,
  type FrameOptions,
  FrameReader,
  FrameType,
  frames,
  HTTP2_PREFACE,
  Http2Code,
  type Http2Frame,
  Http2Setting,
  http2Frame,
  type Priority,
  unpadded,
} from './http2-frames.ts';
export { type FieldLines, FIRST_DYNAMIC_INDEX, HpackDecoder, hpack } from './http2-hpack.ts';
export * from './kits/index.ts';
export { benchLoadBalancer, type LoadBalancerBench } from './load-balancer-bench.ts';
export { expectNoLeaks, LeakTracker, trackLeaks } from './leaks.ts';
export {
  type ConnectionPair,
  type ConnectionPairOptions,
  connectionInfo,
  connectionPair,
  MemoryConnection,
} from './memory-connection.ts';
export { HeldRequest, ManualApi } from './manual-api.ts';
export { MemoryStats } from './memory-stats.ts';
export * from './pki.ts';
export { FakeOwnHosts, ProvidedScene } from './provided-scene.ts';
export { ScriptedRandom, SeededRandom } from './random.ts';
export { exchange, type RawTarget, rawClient } from './raw-client.ts';
export { RawConnection } from './raw-connection.ts';
export { parseResponse, type RawResponse } from './raw-response.ts';
export { type ListenOptions, type RawScript, RawUpstream, silentUpstream } from './raw-upstream.ts';
export { ConnectionRecorder } from './recorder.ts';
export {
  RecordingServerLog,
  requestText,
  type StartProxyOptions,
  startProxy,
  TestProxy,
} from './start-proxy.ts';
export { RecordingLoggers, type TestContext, TestDrain, testContext } from './test-context.ts';
export { TestOverload } from './test-overload.ts';
export {
  requestHeaders,
  responseHeaders,
  TestHttpStream,
  type TestStreamOptions,
} from './test-http-stream.ts';
export { DEFAULT_PATIENCE_MS, eventually, within } from './wait.ts';
