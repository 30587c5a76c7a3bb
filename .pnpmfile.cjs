// The packages that bring Node itself write their platform as a string where pnpm reads a list, so pnpm would fetch the
// Windows runtime on Linux and link a Linux `node` on Windows. This reads the string as a list of one.

const asList = (platform) => (typeof platform === 'string' ? [platform] : platform);

module.exports = {
  hooks: {
    readPackage(manifest) {
      if (/^node-(linux|win|darwin)-/.test(manifest.name)) {
        manifest.os = asList(manifest.os);
        manifest.cpu = asList(manifest.cpu);
      }
      return manifest;
    },
  },
};
