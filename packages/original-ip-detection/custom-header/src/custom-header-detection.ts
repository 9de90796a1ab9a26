import { CustomHeaderConfigSchema } from '@dragoman/api';
import { readIp } from '@dragoman/client-address';
import { type DetectedIp, defineOriginalIpDetection } from '@dragoman/core';

/** The statuses that may refuse a request; any other becomes {@link FORBIDDEN}, as in Envoy. */
const FIRST_ERROR = 400;
const LAST_ERROR = 511;
const FORBIDDEN = 403;

/** `envoy.http.original_ip_detection.custom_header`: the client's address is the whole value of a header. */
export const customHeaderDetection = defineOriginalIpDetection({
  name: 'envoy.http.original_ip_detection.custom_header',
  config: CustomHeaderConfigSchema,
  create({ headerName, allowExtensionToSetAddressAsTrusted: trusted, rejectWithStatus }) {
    const name = headerName.toLowerCase();
    const notFound: DetectedIp =
      rejectWithStatus === undefined
        ? { address: undefined, trusted: false }
        : { address: undefined, trusted: false, rejectStatus: errorStatus(rejectWithStatus.code) };
    return {
      detect(headers) {
        const value = headers.get(name);
        const address = value === undefined ? undefined : readIp(value);
        return address === undefined ? notFound : { address, trusted };
      },
    };
  },
});

function errorStatus(code: number): number {
  return code >= FIRST_ERROR && code <= LAST_ERROR ? code : FORBIDDEN;
}
