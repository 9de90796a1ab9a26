import type { Client } from 'undici';
import type { ApiServerSettings } from './server-settings.ts';
import { WatchedFile } from './watched-file.ts';

const PRINTABLE = /^[\x21-\x7e]+$/;

/**
 * The one connection to an API, and the secrets that go with it. Files are looked at before each request: other authorities or another
 * certificate mean a new connection.
 */
export class ApiConnection {
  private readonly settings: ApiServerSettings;
  private readonly token: WatchedFile | undefined;
  private readonly ca: WatchedFile | undefined;
  private readonly certificate: WatchedFile | undefined;
  private readonly key: WatchedFile | undefined;
  private client: Client | undefined = undefined;
  /** The files that {@link client} was made with. */
  private madeWith: readonly string[] = [];

  constructor(settings: ApiServerSettings) {
    const file = (path: string) => (path === '' ? undefined : new WatchedFile(path));
    this.settings = settings;
    this.token = file(settings.tokenFile);
    this.ca = file(settings.caFile);
    this.certificate = file(settings.certificateFile);
    this.key = file(settings.keyFile);
  }

  /**
   * The token as it is now; undefined without a file of one.
   * @param force reads also a file that looks unchanged
   * @throws Error that names the file, not the token
   */
  async readToken(force = false): Promise<string | undefined> {
    if (this.token === undefined) return undefined;
    const token = (await this.token.read(force)).trim();
    if (!PRINTABLE.test(token))
      throw new Error(
        `"${this.token.path}" ${token === '' ? 'is empty' : 'holds more than a token: white space or characters that are not ASCII'}`,
      );
    return token;
  }

  /** A connection that the files as they are now allow. @throws Error that names a file that cannot be read */
  async open(): Promise<Client> {
    // Loading it takes 60 ms: only for those who have such a cluster.
    const { Client } = await import('undici');
    const files = [this.ca, this.certificate, this.key];
    const [ca, cert, key] = await Promise.all(files.map(async (file) => (await file?.read()) ?? ''));
    const contents = [ca, cert, key];
    if (this.client !== undefined && contents.every((content, index) => content === this.madeWith[index]))
      return this.client;
    this.drop();
    const { origin, serverName } = this.settings;
    this.madeWith = contents;
    this.client = new Client(origin, {
      // Time limits are those of the request, on the context's clock.
      headersTimeout: 0,
      bodyTimeout: 0,
      connectTimeout: 0,
      allowH2: false,
      connect: {
        timeout: 0,
        ...(ca === '' ? {} : { ca }),
        ...(cert === '' ? {} : { cert, key }),
        ...(serverName === '' ? {} : { servername: serverName }),
      },
    });
    return this.client;
  }

  /** Ends the connection and what is under way on it; the next request makes a new one. */
  drop(): void {
    const { client } = this;
    this.client = undefined;
    client?.destroy().catch(() => {});
  }
}
