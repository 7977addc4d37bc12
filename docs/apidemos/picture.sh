#!/bin/sh -e
# Makes plan.html and plan.png of ApiDemos in build/apidemos: docs/apidemos/picture.sh, from the repository's root.
# Needs lawow with its extra `build`, npm for the APK, and chromium for the picture.
here=$(pwd)/docs/apidemos
mkdir -p build/apidemos
cd build/apidemos
test -f ApiDemos-debug.apk || tar xzf "$(npm pack --silent android-apidemos@5.0.0)" --strip-components=2 package/apks/ApiDemos-debug.apk
lawow build "$here/pixels.c"
lawow build "$here/game.c"
lawow refactor ApiDemos-debug.apk --plan --allow-old-android --local-ms 40 --remote-ms 6 --html plan.html \
  --module 'BitmapPixels$SampleView=pixels.wasm' --module GameView=game.wasm
chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
  --disable-component-update --disable-sync --user-data-dir="$(mktemp -d)" --hide-scrollbars \
  --window-size=1180,740 --screenshot="$(pwd)/plan.png" "file://$(pwd)/plan.html"
