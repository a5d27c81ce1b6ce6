//! Objects, each under a data key of its own.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{Aead, KeyInit, Nonce, Payload};
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::DataKeySpec;
use bytes::Bytes;
use futures::TryStreamExt;
use s3s::dto::{
    GetObjectInput, GetObjectOutput, PutObjectInput, PutObjectOutput, ServerSideEncryption,
    StreamingBlob,
};
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};

use crate::forward::Authority;

/// The key for those who name none.
const DEFAULT_KEY: &str = "alias/aws/s3";
/// The member of the encryption context that S3 binds the key of an object to it with.
const CONTEXT: &str = "aws:s3:arn";

/// Objects by ARN.
#[derive(Default)]
pub struct Store {
    objects: Mutex<HashMap<String, Object>>,
}

#[derive(Clone)]
struct Object {
    key_id: String,
    /// The data key, as the node encrypted it.
    wrapped: Blob,
    sealed: Vec<u8>,
}

#[async_trait::async_trait]
impl S3 for Store {
    async fn put_object(
        &self,
        request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let authority = authority(&request)?;
        let input = request.input;
        let arn = arn(&input.bucket, &input.key);
        let parts: Vec<Bytes> = match input.body {
            Some(body) => body.try_collect().await.map_err(|_| s3_error!(IncompleteBody))?,
            None => Vec::new(),
        };
        let made = authority.kms.generate_data_key().key_spec(DataKeySpec::Aes256);
        let made = made
            .key_id(input.ssekms_key_id.as_deref().unwrap_or(DEFAULT_KEY))
            .encryption_context(CONTEXT, &arn)
            .send()
            .await
            .map_err(refused)?;
        let (Some(plain), Some(wrapped), Some(key_id)) =
            (made.plaintext, made.ciphertext_blob, made.key_id)
        else {
            return Err(s3_error!(InternalError));
        };
        let content = Payload { msg: &parts.concat(), aad: arn.as_bytes() };
        let sealed = cipher(&plain)?.encrypt(&once(), content);
        let sealed = sealed.map_err(|_| s3_error!(InternalError))?;
        let object = Object { key_id: key_id.clone(), wrapped, sealed };
        self.objects.lock().unwrap_or_else(PoisonError::into_inner).insert(arn, object);
        Ok(S3Response::new(PutObjectOutput {
            server_side_encryption: encryption(),
            ssekms_key_id: Some(key_id),
            ..PutObjectOutput::default()
        }))
    }

    async fn get_object(
        &self,
        request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let authority = authority(&request)?;
        let arn = arn(&request.input.bucket, &request.input.key);
        let found = self.objects.lock().unwrap_or_else(PoisonError::into_inner).get(&arn).cloned();
        let object = found.ok_or_else(|| s3_error!(NoSuchKey))?;
        let opened = authority.kms.decrypt().ciphertext_blob(object.wrapped);
        let opened = opened.encryption_context(CONTEXT, &arn).send().await.map_err(refused)?;
        let plain = opened.plaintext.ok_or_else(|| s3_error!(InternalError))?;
        let content = Payload { msg: &object.sealed, aad: arn.as_bytes() };
        let content = cipher(&plain)?.decrypt(&once(), content);
        let content = content.map_err(|_| s3_error!(InternalError))?;
        Ok(S3Response::new(GetObjectOutput {
            content_length: i64::try_from(content.len()).ok(),
            body: Some(StreamingBlob::from(s3s::Body::from(content))),
            server_side_encryption: encryption(),
            ssekms_key_id: Some(object.key_id),
            ..GetObjectOutput::default()
        }))
    }
}

/// For whom the request is, as the node found out.
fn authority<T>(request: &S3Request<T>) -> S3Result<Authority> {
    request.extensions.get().cloned().ok_or_else(|| s3_error!(AccessDenied))
}

fn arn(bucket: &str, key: &str) -> String {
    format!("arn:aws:s3:::{bucket}/{key}")
}

fn encryption() -> Option<ServerSideEncryption> {
    Some(ServerSideEncryption::from_static(ServerSideEncryption::AWS_KMS))
}

fn cipher(key: &Blob) -> S3Result<Aes256Gcm> {
    Aes256Gcm::new_from_slice(key.as_ref()).map_err(|_| s3_error!(InternalError))
}

/// A data key encrypts one object, once.
fn once() -> Nonce<Aes256Gcm> {
    Nonce::<Aes256Gcm>::default()
}

/// What the node refuses, in the words that S3 has for it.
fn refused<E: ProvideErrorMetadata + Send + Sync + 'static>(error: SdkError<E>) -> S3Error {
    let code = match error.code() {
        Some("AccessDeniedException") => S3ErrorCode::AccessDenied,
        Some("NotFoundException") => S3ErrorCode::Custom("KMS.NotFoundException".into()),
        Some("DisabledException") => S3ErrorCode::Custom("KMS.DisabledException".into()),
        _ => S3ErrorCode::InternalError,
    };
    let mut answer = S3Error::with_message(code, error.message().unwrap_or_default().to_owned());
    if matches!(answer.code(), S3ErrorCode::Custom(_)) {
        answer.set_status_code(http::StatusCode::BAD_REQUEST);
    }
    answer
}
