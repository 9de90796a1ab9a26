import { describe, expect, it } from 'vitest';
import { createFormatterFactory, DEFAULT_FORMAT } from '../src/index.ts';
import { emptyContext, fullContext } from './fixtures.ts';

describe('default format', () => {
  const factory = createFormatterFactory();
  const full =
    '[2026-01-02T03:04:05.678Z] "GET /old?q=2 HTTP/1.1" 200 UF,URX 11 2222 34 18 ' +
    '"198.51.100.1,203.0.113.7" "curl/8.0" "0b8f6e42-7d9d-4e5e-9a3c-1f2e3d4c5b6a" "shop.example" "10.1.0.5:8080"\n';

  it('is byte-exact', () => {
    expect(factory.default.format(fullContext())).toBe(full);
    expect(factory.text(DEFAULT_FORMAT).format(fullContext())).toBe(full);
  });

  it('prints dashes for what is not there', () => {
    const context = emptyContext();
    context.info.end = context.info.start;
    expect(factory.default.format(context)).toBe(
      '[2026-01-02T03:04:05.678Z] "- - -" 0 - 0 0 0 - "-" "-" "-" "-" "-"\n',
    );
  });

  it('is Envoy’s format', () => {
    expect(DEFAULT_FORMAT).toBe(
      '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"\n',
    );
  });
});
