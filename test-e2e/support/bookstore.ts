import { readFileSync } from 'node:fs';
import * as grpc from '@grpc/grpc-js';
import { loadFileDescriptorSetFromBuffer } from '@grpc/proto-loader';
import { metadata } from './grpc-peer.ts';

/** What bookstore.mjs has made of bookstore.proto. */
export const DESCRIPTORS: Buffer = readFileSync(new URL('./bookstore.binpb', import.meta.url));
export const BOOKSTORE = 'books.v1.Bookstore';

const definition = loadFileDescriptorSetFromBuffer(DESCRIPTORS, {
  keepCase: true,
  longs: Number,
  enums: String,
  defaults: true,
});
const loaded = grpc.loadPackageDefinition(definition) as unknown as {
  books: { v1: { Bookstore: grpc.ServiceClientConstructor } };
};

/** Makes clients of the service. */
export const BookstoreClient: grpc.ServiceClientConstructor = loaded.books.v1.Bookstore;

export interface Book {
  readonly id: number;
  readonly title: string;
  readonly authors: readonly string[];
  readonly binding: string;
  readonly published: { readonly seconds: number; readonly nanos: number } | null;
  readonly price: number;
  readonly on_loan: boolean;
}

interface HttpBody {
  readonly content_type: string;
  readonly data: Buffer;
}

/** Any request, as far as a method looks at it. */
interface Request {
  readonly shelf: number;
  readonly book: number;
  readonly authors: readonly string[];
  readonly binding: string;
  readonly published_after: { readonly seconds: number } | null;
  readonly fail_with: number;
  readonly cover: HttpBody;
}

interface EditRequest {
  readonly shelf: number;
  readonly book: Book;
  readonly dry_run: boolean;
  readonly update_mask: { readonly paths: readonly (keyof Book)[] } | null;
}

const published = (date: string) => ({ seconds: Date.parse(date) / 1000, nanos: 0 });

/** What stands on shelf 1 of a new store. */
const STOCK: readonly Book[] = [
  {
    id: 1,
    title: 'Momo',
    authors: ['Ende'],
    binding: 'PAPERBACK',
    published: published('1973-09-01'),
    price: 8.5,
    on_loan: false,
  },
  {
    id: 2,
    title: 'Der Zauberberg',
    authors: ['Mann'],
    binding: 'HARDBACK',
    published: published('1924-11-20'),
    price: 0,
    on_loan: true,
  },
];

/** `google.rpc.Status` with a `books.v1.Missing` among its details. */
function missing(shelf: number, book: number): grpc.Metadata {
  const field = (tag: number, bytes: Buffer) => Buffer.concat([Buffer.from([tag, bytes.length]), bytes]);
  const any = Buffer.concat([
    field(0x0a, Buffer.from('type.googleapis.com/books.v1.Missing')),
    field(0x12, Buffer.from([8, shelf, 16, book])),
  ]);
  const status = Buffer.concat([
    Buffer.from([8, grpc.status.NOT_FOUND]),
    field(0x12, Buffer.from('no such book')),
    field(0x1a, any),
  ]);
  return metadata({ 'grpc-status-details-bin': status });
}

/** A bookstore on grpc-js. */
export class Bookstore {
  readonly port: number;
  /** Books by id. */
  readonly books: Map<number, Book> = new Map(STOCK.map((book) => [book.id, book]));
  readonly covers: Map<number, HttpBody> = new Map();
  /** Runs between the messages of {@link readBook}; default: nothing. */
  betweenPages: () => Promise<void> = async () => {};
  private readonly server: grpc.Server;

  private constructor(server: grpc.Server, port: number) {
    this.server = server;
    this.port = port;
  }

  static start(): Promise<Bookstore> {
    const server = new grpc.Server();
    let store: Bookstore | undefined;
    const own = () => store as Bookstore;
    type Unary = grpc.ServerUnaryCall<Request & EditRequest, unknown>;
    type Done = grpc.sendUnaryData<unknown>;
    type Stream = grpc.ServerDuplexStream<EditRequest & Book, unknown> & { request: Request };
    server.addService(BookstoreClient.service, {
      GetBook: ({ request }: Unary, done: Done) => own().getBook(request, done),
      CreateBook: ({ request }: Unary, done: Done) => own().create(request, done),
      UpdateBook: ({ request }: Unary, done: Done) => own().update(request, done),
      DeleteBook: ({ request }: Unary, done: Done) => own().remove(request, done),
      ListBooks: (call: Stream) => own().list(call),
      AddBooks: (call: Stream, done: Done) => own().addAll(call, done),
      PriceBooks: (call: Stream) => own().price(call),
      GetCover: ({ request }: Unary, done: Done) => done(null, own().covers.get(request.book)),
      PutCover: ({ request }: Unary, done: Done) => {
        own().covers.set(request.book, request.cover);
        done(null, {});
      },
      ReadBook: (call: Stream) => void own().readBook(call),
    } as never);
    return new Promise((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => {
        if (error !== null) return reject(error);
        store = new Bookstore(server, port);
        resolve(store);
      });
    });
  }

  async stop(): Promise<void> {
    this.server.forceShutdown();
  }

  private getBook({ shelf, book }: Request, done: grpc.sendUnaryData<unknown>): void {
    const found = this.books.get(book);
    if (found !== undefined && shelf === 1) done(null, found);
    else done({ code: grpc.status.NOT_FOUND, details: 'no such book', metadata: missing(shelf, book) });
  }

  private create({ book, dry_run }: EditRequest, done: grpc.sendUnaryData<unknown>): void {
    const made = { ...book, id: Math.max(...this.books.keys()) + 1 };
    if (!dry_run) this.books.set(made.id, made);
    done(null, made);
  }

  private update({ shelf, book, update_mask }: EditRequest, done: grpc.sendUnaryData<unknown>): void {
    const before = this.books.get(book.id);
    if (before === undefined || shelf !== 1) {
      done({ code: grpc.status.NOT_FOUND, details: 'no such book' });
      return;
    }
    const changes = (update_mask?.paths ?? []).map((name) => [name, book[name]]);
    const after = { ...before, ...Object.fromEntries(changes) };
    this.books.set(book.id, after);
    done(null, after);
  }

  private remove({ book }: Request, done: grpc.sendUnaryData<unknown>): void {
    this.books.delete(book);
    done(null, {});
  }

  private list(call: grpc.ServerWritableStream<Request, unknown>): void {
    const { authors, binding, published_after: after, fail_with: code } = call.request;
    for (const book of this.books.values()) {
      if (authors.length > 0 && !book.authors.some((author) => authors.includes(author))) continue;
      if (binding !== 'BINDING_UNSPECIFIED' && book.binding !== binding) continue;
      if (after !== null && (book.published?.seconds ?? -Infinity) <= after.seconds) continue;
      call.write(book);
    }
    if (code === 0) call.end();
    else call.emit('error', { code, details: 'the list ends here' });
  }

  private addAll(call: grpc.ServerReadableStream<EditRequest, unknown>, done: grpc.sendUnaryData<unknown>) {
    const ids: number[] = [];
    call.on('data', ({ book }: EditRequest) =>
      this.create({ book } as EditRequest, (_, made) => ids.push((made as Book).id)),
    );
    call.on('end', () => done(null, { added: ids.length, ids }));
  }

  private price(call: grpc.ServerDuplexStream<Book, unknown>): void {
    call.on('data', (book: Book) => call.write({ ...book, price: book.title.length }));
    call.on('end', () => call.end());
  }

  private async readBook(call: grpc.ServerWritableStream<Request, unknown>): Promise<void> {
    for (const page of ['page one\n', 'page two\n']) {
      call.write({ content_type: 'text/x-pages', data: Buffer.from(page) });
      await this.betweenPages();
    }
    call.end();
  }
}
