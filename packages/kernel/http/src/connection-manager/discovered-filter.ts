import { DiscoveredExtension, type ExtensionConfigSource } from '@dragoman/api';
import {
  ConfigError,
  type CreateHttpFilter,
  type CreateTerminalHttpFilter,
  type HttpFilter,
  type HttpFilterContext,
  type LocalReply,
  ResponseFlag,
  type StreamInfo,
  type TerminalHttpFilter,
} from '@dragoman/core';

type Factory = CreateHttpFilter | CreateTerminalHttpFilter;

/** Envoy's has no details. */
const MISSING: LocalReply = { status: 500, details: 'no_filter_config' };

/** A filter whose config is discovered (ECDS). New streams get the one that is in place when they begin. */
export class DiscoveredFilter {
  private readonly discovered: DiscoveredExtension<'http-filters', Factory>;
  private readonly missing: Factory;

  /**
   * @param terminal it stands where a terminal filter has to be, else where none may be
   * @throws ConfigError with paths below `config_discovery`
   */
  constructor(name: string, source: ExtensionConfigSource, terminal: boolean, context: HttpFilterContext) {
    this.missing = terminal ? missingTerminal : missingFilter;
    this.discovered = new DiscoveredExtension<'http-filters', Factory>({
      category: 'http-filters',
      kind: 'http_filter',
      name,
      source,
      context,
      create(extension, message, dynamicResources) {
        if (extension.terminal !== terminal)
          throw ConfigError.at(
            '',
            terminal
              ? `${extension.name} is not a terminal filter, as the last has to be`
              : `${extension.name} is a terminal filter: it must be the last`,
          );
        return extension.create(message, { ...context, dynamicResources });
      },
    });
  }

  /** Makes the filter of a stream. */
  readonly create = (stream: Parameters<Factory>[0]): HttpFilter | TerminalHttpFilter =>
    (this.discovered.current ?? this.missing)(stream as never);

  /** As {@link DiscoveredExtension.watch}. */
  watch(): void {
    this.discovered.watch();
  }
}

/** A request must not go on without a filter that belongs there. */
function refuse(stream: { readonly info: StreamInfo; reply(reply: LocalReply): void }): void {
  stream.info.setResponseFlag(ResponseFlag.NoFilterConfigFound);
  stream.reply(MISSING);
}

const missingFilter: CreateHttpFilter = (stream) => ({
  onRequestHeaders() {
    refuse(stream);
    return 'pause';
  },
});

const missingTerminal: CreateTerminalHttpFilter = (stream) => ({
  onRequestHeaders: () => refuse(stream),
  onRequestBody: () => true,
  onRequestTrailers() {},
  onDownstreamWritable() {},
  onComplete() {},
});
