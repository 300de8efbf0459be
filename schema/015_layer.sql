-- SPDX-License-Identifier: Apache-2.0
-- Pictures in layers (policy video_layers): an SSRC for each; ssrc_video is
-- the worst of them.
ALTER TABLE member ADD COLUMN ssrc_video2 INTEGER NOT NULL DEFAULT 0; -- 0: none
ALTER TABLE member ADD COLUMN ssrc_video3 INTEGER NOT NULL DEFAULT 0;
