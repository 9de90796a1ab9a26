/** Parts of what an API server of Kubernetes 1.3x sends, with the members that this source has no use for. */

export interface EndpointParts {
  readonly ready?: boolean | undefined;
  readonly serving?: boolean | undefined;
  readonly terminating?: boolean | undefined;
  readonly zone?: string;
  readonly hostname?: string;
}

export function endpoint(address: string, parts: EndpointParts = {}): object {
  const { ready = true, serving = ready, terminating = false, zone = 'eu-1a', hostname } = parts;
  return {
    addresses: [address],
    conditions: { ready, serving, terminating },
    ...(hostname === undefined ? {} : { hostname }),
    nodeName: 'node-1',
    targetRef: {
      kind: 'Pod',
      namespace: 'shop',
      name: `web-${address}`,
      uid: '7a6f1f0e-5a2b-4a4e-9d6e-3d0c2f1b8a11',
    },
    zone,
    hints: { forZones: [{ name: 'eu-1b' }] },
  };
}

export interface SliceParts {
  readonly addressType?: string;
  readonly ports?: readonly object[] | null;
  readonly version?: string;
}

const HTTP_PORT = { name: 'http', protocol: 'TCP', port: 8080, appProtocol: 'http' };

/** A slice as it stands in an event; the items of a list have neither kind nor apiVersion. */
export function slice(
  name: string,
  endpoints: readonly object[] | null,
  { addressType = 'IPv4', ports = [HTTP_PORT], version = '100' }: SliceParts = {},
): object {
  return {
    kind: 'EndpointSlice',
    apiVersion: 'discovery.k8s.io/v1',
    metadata: {
      name,
      generateName: 'web-',
      namespace: 'shop',
      uid: '1f5c1c9b-9d5b-4f46-8a5f-b1d1b3c6c1aa',
      resourceVersion: version,
      generation: 4,
      creationTimestamp: '2026-01-01T00:00:00Z',
      labels: {
        'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
        'kubernetes.io/service-name': 'web',
      },
      ownerReferences: [{ apiVersion: 'v1', kind: 'Service', name: 'web', uid: '0', controller: true }],
      managedFields: [
        { manager: 'kube-controller-manager', operation: 'Update', fieldsV1: { 'f:ports': {} } },
      ],
    },
    addressType,
    endpoints,
    ports,
  };
}

export function list(
  slices: readonly object[] | null,
  { version = '1000', next = '' }: { readonly version?: string; readonly next?: string } = {},
): object {
  return {
    kind: 'EndpointSliceList',
    apiVersion: 'discovery.k8s.io/v1',
    metadata: {
      resourceVersion: version,
      ...(next === '' ? {} : { continue: next, remainingItemCount: 1 }),
    },
    items: slices?.map((one) => ({ ...one, kind: undefined, apiVersion: undefined })) ?? null,
  };
}

/** A line of a watch. */
export function event(type: 'ADDED' | 'MODIFIED' | 'DELETED', object: object): string {
  return `${JSON.stringify({ type, object })}\n`;
}

export function bookmark(version: string): string {
  const object = {
    kind: 'EndpointSlice',
    apiVersion: 'discovery.k8s.io/v1',
    metadata: { resourceVersion: version, creationTimestamp: null },
    addressType: '',
    endpoints: null,
    ports: null,
  };
  return `${JSON.stringify({ type: 'BOOKMARK', object })}\n`;
}

export function status(code: number, reason: string, message: string): object {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code };
}

export const errorEvent = (code: number, reason: string, message: string): string =>
  `${JSON.stringify({ type: 'ERROR', object: status(code, reason, message) })}\n`;
