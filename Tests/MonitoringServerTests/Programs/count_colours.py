"""Width of a PNG with 8 bits per channel, and how many of its pixels are dark text, the page's green and its red."""
import struct
import sys
import zlib

data = open(sys.argv[1], "rb").read()
assert data[:8] == b"\x89PNG\r\n\x1a\n"
position, packed = 8, b""
while position < len(data):
    length, kind = struct.unpack(">I4s", data[position:position + 8])
    body = data[position + 8:position + 8 + length]
    if kind == b"IHDR":
        width, height, depth, colour = struct.unpack(">IIBB", body[:10])
        assert depth == 8 and colour in (2, 6)
        channels = 3 if colour == 2 else 4
    elif kind == b"IDAT":
        packed += body
    position += 12 + length
raw = zlib.decompress(packed)
stride = width * channels
previous = bytearray(stride)
dark = green = red = 0
for row in range(height):
    filtering = raw[row * (stride + 1)]
    line = bytearray(raw[row * (stride + 1) + 1:(row + 1) * (stride + 1)])
    for index in range(stride):
        left = line[index - channels] if index >= channels else 0
        up = previous[index]
        corner = previous[index - channels] if index >= channels else 0
        if filtering == 1:
            line[index] = (line[index] + left) & 255
        elif filtering == 2:
            line[index] = (line[index] + up) & 255
        elif filtering == 3:
            line[index] = (line[index] + (left + up) // 2) & 255
        elif filtering == 4:
            estimate = left + up - corner
            distances = abs(estimate - left), abs(estimate - up), abs(estimate - corner)
            nearest = (left, up, corner)[distances.index(min(distances))]
            line[index] = (line[index] + nearest) & 255
    for start in range(0, stride, channels):
        pixel = tuple(line[start:start + 3])
        dark += max(pixel) < 80
        green += pixel == (0x1A, 0x7F, 0x37)
        red += pixel == (0xCF, 0x22, 0x2E)
    previous = line
print(width, dark, green, red)
