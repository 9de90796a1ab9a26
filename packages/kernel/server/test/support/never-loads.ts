// A module that waits for something which does not come.
setInterval(() => {}, 1000);
await new Promise(() => {});
export {};
