import {
  anyPack,
  create,
  EmptySchema,
  Int32ValueSchema,
  ListenerSchema,
  readLoose,
  StringValueSchema,
  TypedExtensionConfigSchema,
} from '@dragoman/api';
import {
  type ConnectionHandler,
  defineListenerFilter,
  defineNetworkFilter,
  ExtensionRegistry,
} from '@dragoman/core';
import {
  ConnectionRecorder,
  connectionPair,
  FakeDynamicResources,
  type JsonObject,
  testContext,
} from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { AcceptedConnection, type ConnectionHome } from '../src/listener/accepted-connection.ts';
import { compileListener } from '../src/listener/listener-config.ts';
import { createListenerStats } from '../src/listener/listener-stats.ts';

const CONFIG = TypedExtensionConfigSchema;
const URL = 'type.googleapis.com/google.protobuf.';

/** Greets, and leaves the bytes to the next. */
const greeter = defineNetworkFilter({
  name: 'greeter',
  config: StringValueSchema,
  terminal: false,
  create({ value }) {
    if (value === 'bad') throw new Error('no greeting');
    return ({ connection }) => ({ onNewConnection: () => void connection.writeText(`${value} `) });
  },
});

/** Ends the connection with a number. */
const ender = defineNetworkFilter({
  name: 'ender',
  config: Int32ValueSchema,
  terminal: true,
  create:
    ({ value }) =>
    ({ connection }) => ({
      onNewConnection() {
        connection.writeText(String(value));
        connection.close('flush');
      },
    }),
});

/** Says no to everybody when its text is `no`. */
const doorman = defineListenerFilter({
  name: 'doorman',
  config: StringValueSchema,
  create:
    ({ value }) =>
    () => ({ maxReadBytes: 0, onAccept: () => (value === 'no' ? 'close' : 'continue') }),
});

const gone = defineListenerFilter({
  name: 'gone',
  config: EmptySchema,
  create: () => () => ({
    maxReadBytes: 0,
    onAccept() {
      onGone();
      return 'continue';
    },
  }),
});
let onGone = () => {};

const text = (name: string, value: string) =>
  create(CONFIG, { name, typedConfig: anyPack(StringValueSchema, create(StringValueSchema, { value })) });
const number = (name: string, value: number) =>
  create(CONFIG, { name, typedConfig: anyPack(Int32ValueSchema, create(Int32ValueSchema, { value })) });

const discovered = (name: string, type: string, more: JsonObject = {}): JsonObject => ({
  name,
  config_discovery: { config_source: { ads: {} }, type_urls: [`${URL}${type}`], ...more },
});
const END = { name: 'ender', typed_config: { '@type': `${URL}Int32Value`, value: 1 } };

function sceneOf(filters: readonly JsonObject[], listenerFilters: readonly JsonObject[] = []) {
  const resources = new FakeDynamicResources();
  const context = testContext({
    dynamicResources: resources,
    extensions: new ExtensionRegistry([greeter, ender, doorman, gone]),
  });
  const config = readLoose(ListenerSchema, {
    stat_prefix: 'l',
    address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
    listener_filters: listenerFilters,
    filter_chains: [{ filters }],
  });
  const listener = compileListener(config, 'l', context);
  const logger = context.loggers.logger('test');
  const home: ConnectionHome = {
    listener,
    stats: createListenerStats(listener.context.listenerScope, 'worker_0'),
    network: { clock: context.clock, logger } as unknown as ConnectionHome['network'],
    filterLogger: logger,
    onClosed: () => {},
    handOff: () => undefined,
  };
  return {
    resources,
    listener,
    stat: (name: string) => context.stats.value(`listener.l.${name}`),
    /** What a new connection is sent, and `!` once it is closed. */
    connect(): string {
      const pair = connectionPair({ clock: context.clock });
      const client = new ConnectionRecorder(pair.client);
      const accepted = new AcceptedConnection(pair.server as never, home);
      pair.server.setHandler(accepted as ConnectionHandler);
      accepted.start();
      for (let i = 0; i < 4; i++) pair.run();
      return `${client.text}${client.closed ? '!' : ''}`;
    },
  };
}

describe('a network filter whose config is discovered', () => {
  it('closes connections as long as there is none, which do not count', () => {
    const { connect, resources, stat } = sceneOf([discovered('g', 'StringValue'), END]);
    expect(resources.watched).toEqual([`${CONFIG.typeName} g`]);
    expect(connect()).toBe('!');
    expect(stat('network_extension_config_missing')).toBe(1);
    expect(stat('downstream_cx_total')).toBe(0);
    resources.set(CONFIG, 'g', text('g', 'one'));
    expect(connect()).toBe('one 1!');
    resources.set(CONFIG, 'g', text('g', 'two'));
    expect(connect()).toBe('two 1!');
    expect(() => resources.set(CONFIG, 'g', text('g', 'bad'))).toThrow('typed_config: no greeting');
    expect(connect()).toBe('two 1!');
    resources.set(CONFIG, 'g', undefined);
    expect(connect()).toBe('!');
    expect(stat('downstream_cx_active')).toBe(0);
  });

  it('has a default', () => {
    const default_config = { '@type': `${URL}StringValue`, value: 'default' };
    const { connect } = sceneOf([discovered('g', 'StringValue', { default_config }), END]);
    expect(connect()).toBe('default 1!');
  });

  it('may be the last, and only then a terminal one', () => {
    const { connect, resources } = sceneOf([discovered('e', 'Int32Value')]);
    resources.set(CONFIG, 'e', number('e', 7));
    expect(connect()).toBe('7!');
    const middle = sceneOf([discovered('e', 'Int32Value'), END]);
    expect(() => middle.resources.set(CONFIG, 'e', number('e', 7))).toThrow(
      'typed_config: ender is a terminal filter: it must be the last of the chain',
    );
    const last = sceneOf([discovered('g', 'StringValue')]);
    expect(() => last.resources.set(CONFIG, 'g', text('g', 'x'))).toThrow('greeter is not a terminal filter');
  });

  it('ends with its listener', () => {
    const { listener, resources } = sceneOf([discovered('g', 'StringValue'), END]);
    listener.close();
    expect(resources.watched).toEqual([]);
  });

  it('is refused where its source says nothing', () => {
    expect(() => sceneOf([discovered('g', 'StringValue', { type_urls: [] }), END])).toThrow(
      'filter_chains[0].filters[0].config_discovery.type_urls: needs one at least',
    );
  });
});

describe('a listener filter whose config is discovered', () => {
  it('closes connections as long as there is none', () => {
    const { connect, resources, stat } = sceneOf([END], [discovered('d', 'StringValue')]);
    expect(connect()).toBe('!');
    expect(stat('extension_config_missing')).toBe(1);
    expect(stat('downstream_pre_cx_active')).toBe(0);
    resources.set(CONFIG, 'd', text('d', 'yes'));
    expect(connect()).toBe('1!');
    resources.set(CONFIG, 'd', text('d', 'no'));
    expect(connect()).toBe('!');
    expect(stat('extension_config_missing')).toBe(1);
  });

  it('closes a connection whose filters are at work when it goes', () => {
    const { connect, resources } = sceneOf(
      [END],
      [{ name: 'gone', typed_config: { '@type': `${URL}Empty` } }, discovered('d', 'StringValue')],
    );
    resources.set(CONFIG, 'd', text('d', 'yes'));
    expect(connect()).toBe('1!');
    onGone = () => resources.set(CONFIG, 'd', undefined);
    expect(connect()).toBe('!');
    onGone = () => {};
  });

  it('is refused where its source says nothing', () => {
    expect(() =>
      sceneOf([END], [discovered('d', 'StringValue', { config_source: {}, type_urls: ['a/b'] })]),
    ).toThrow('listener_filters[0].config_discovery.type_urls[0]: unknown extension "b"');
  });
});
