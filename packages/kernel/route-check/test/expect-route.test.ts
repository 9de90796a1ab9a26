import { ConfigError } from '@dragoman/core';
import { expect, it } from 'vitest';
import { expectRoute } from '../src/index.ts';

const CONFIG = `
virtual_hosts:
- name: shop
  domains: [shop.example]
  require_tls: EXTERNAL_ONLY
  routes:
  - { name: cart, match: { prefix: /cart, headers: [{ name: x-user, present_match: true }] }, route: { cluster: cart, prefix_rewrite: /v2 } }
  - { match: { path: /old }, redirect: { path_redirect: /new, response_code: FOUND } }
  - { match: { path: /teapot }, direct_response: { status: 418 } }
`;
const to = (path: string, more = {}) =>
  expectRoute(CONFIG, { authority: 'shop.example', path, ssl: true, ...more });

it('holds what is so', () => {
  to('/cart/1', { headers: [['X-User', 'me']] })
    .toGoTo('cart')
    .toBeRewrittenTo({ path: '/v2/1' })
    .toBeRewrittenTo({ authority: 'shop.example' });
  to('/old').toRedirectTo('https://shop.example/new').toRedirectTo('https://shop.example/new', 302);
  to('/teapot').toBeAnsweredWith(418);
  to('/cart/1').toMatchNothing();
  to('/old', { ssl: false }).toRedirectTo('https://shop.example/old', 301);
  expectRoute({ virtual_hosts: [] }, { authority: 'a', path: '/' }).toMatchNothing();
});

it.for<[what: () => unknown, message: string]>([
  [
    () => to('/cart/1', { headers: [['x-user', 'me']] }).toGoTo('site'),
    'GET https://shop.example/cart/1: expected to go to "site", but it goes to "cart" (virtual host "shop", route "cart")',
  ],
  [
    () => to('/cart/1', { headers: [['x-user', 'me']] }).toBeRewrittenTo({ path: '/v3/1' }),
    'GET https://shop.example/cart/1: expected to go upstream as shop.example /v3/1, but it goes to "cart" (virtual host "shop", route "cart"); it goes upstream as shop.example /v2/1',
  ],
  [
    () => to('/cart/1', { method: 'POST' }).toGoTo('cart'),
    'POST https://shop.example/cart/1: expected to go to "cart", but it matches no route',
  ],
  [
    () => to('/old').toRedirectTo('https://shop.example/new', 301),
    'GET https://shop.example/old: expected to be redirected to https://shop.example/new with 301, but it is redirected to https://shop.example/new with 302 (virtual host "shop")',
  ],
  [
    () => to('/teapot').toBeAnsweredWith(200),
    'GET https://shop.example/teapot: expected to be answered with 200, but it is answered with 418 (virtual host "shop")',
  ],
  [
    () => to('/teapot').toBeRewrittenTo({}),
    'GET https://shop.example/teapot: expected to go upstream as  , but it is answered with 418 (virtual host "shop")',
  ],
  [
    () => to('/teapot').toMatchNothing(),
    'GET https://shop.example/teapot: expected to match no route, but it is answered with 418 (virtual host "shop")',
  ],
])('says what is so instead (%#)', ([what, message]) => {
  expect(what).toThrow(new Error(message));
});

it('throws for a configuration that is wrong', () => {
  expect(() => expectRoute('virtual_hosts: [{ name: a }]', { authority: 'a', path: '/' })).toThrow(
    ConfigError,
  );
});
